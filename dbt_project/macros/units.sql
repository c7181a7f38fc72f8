{# Integer units of the raw tables to numeric dollars and contracts; exact, no binary floats. #}

{% macro dollars_from_e4(column) %}({{ column }} * 0.0001){% endmacro %}

{% macro dollars_from_e6(column) %}({{ column }} * 0.000001){% endmacro %}

{% macro contracts_from_e6(column) %}({{ column }} * 0.000001){% endmacro %}

{# A time that a venue's own text states in whole seconds; null where it states none. #}
{% macro venue_second(text) %}case when {{ text }} ~ '^[0-9]{9,11}$' then to_timestamp(({{ text }})::bigint) end{% endmacro %}
