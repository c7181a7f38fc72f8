{# Fails for each combination of `columns` that stands in more than one row. #}
{% test unique_combination(model, columns) %}
select {{ columns | join(', ') }}, count(*) as occurrences
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

{# Fails for each row in which `expression` is false; null passes. #}
{% test holds(model, expression) %}
select * from {{ model }} where not ({{ expression }})
{% endtest %}
