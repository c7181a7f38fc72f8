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

{#
  After which time of loading history is new to the model as it stands: loads of the last minutes are looked at again,
  because their rows may have become visible late; older ones only once.
#}
{% macro loaded_watermark() %}
  {%- set newest = run_query(
      "select coalesce(least(max(loaded_at), now() - interval '" ~ var('lookback_minutes') ~ " minutes')::text, '-infinity')"
      ~ " from " ~ this ~ " where loaded_at is not null having max(loaded_at) is not null"
  ) -%}
  '{{ newest.columns[0].values()[0] if execute and newest.rows else '-infinity' }}'::timestamptz
{%- endmacro %}

{# The start of the minute that is still running: marts hold closed minutes only. #}
{% macro running_minute() %}date_trunc('minute', now()){% endmacro %}
