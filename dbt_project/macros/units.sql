{# Integer units of the raw tables to numeric dollars and contracts; exact, no binary floats. #}

{% macro dollars_from_e4(column) %}({{ column }} * 0.0001){% endmacro %}

{% macro dollars_from_e6(column) %}({{ column }} * 0.000001){% endmacro %}

{% macro contracts_from_e6(column) %}({{ column }} * 0.000001){% endmacro %}
