{#
  The periods that statistics of trading look back over, as (name, when it began). A statistic is a union over them, so that
  who asks for one period computes that one, and the planner knows how long it is.
#}
{% macro periods() %}
  {{- return([('hour', "now() - interval '1 hour'"), ('day', "now() - interval '1 day'"), ('week', "now() - interval '7 days'")]) -}}
{% endmacro %}
{#
  A percentile of `column` over the rows of a group that have one, to the millionth; null where fewer than `least` have.
#}
{% macro percentile(column, share, least) -%}
    case when count({{ column }}) >= {{ least }}
        then round((percentile_cont({{ share }}) within group (order by {{ column }}))::numeric, 6) end
{%- endmacro %}
