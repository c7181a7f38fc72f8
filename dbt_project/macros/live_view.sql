{#
  A view that is always there: made or changed in one transaction, left alone when its query is what it was. The database
  does it (trading.keep_view), the same for a build as for a start, which makes all of them before anything reads.
#}
{% materialization live_view, adapter='postgres' %}
  {%- set target = api.Relation.create(database=database, schema=schema, identifier=model['alias'], type='view') -%}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {% call statement('main') -%}
    select trading.keep_views(jsonb_build_array(jsonb_build_object(
      'schema', '{{ target.schema }}', 'name', '{{ target.identifier }}', 'query', $live_view${{ sql | replace('"' ~ database ~ '".', '') }}$live_view$
    )))
  {%- endcall %}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {% do adapter.commit() %}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}
