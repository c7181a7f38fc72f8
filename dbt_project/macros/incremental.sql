{#
  The newest value of `column` in the model as it stands, minus the lookback, as a literal: a literal lets the planner
  choose the index and leave out partitions. Call it only where is_incremental() holds.
#}
{% macro watermark(column, where='true') %}
  {%- set newest = run_query(
      "select coalesce((max(" ~ column ~ ") - interval '" ~ var('lookback_minutes') ~ " minutes')::text, '-infinity')"
      ~ " from " ~ this ~ " where " ~ where
  ) -%}
  '{{ newest.columns[0].values()[0] if execute else '-infinity' }}'::timestamptz
{%- endmacro %}

{# The start of the minute that is still running: marts hold closed minutes only. #}
{% macro running_minute() %}date_trunc('minute', now()){% endmacro %}
