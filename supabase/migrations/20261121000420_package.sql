-- From a package that a user names to the catalog entry that describes it.

-- {packages: ["npm:name", "pypi:name", "oci:image"]}: for each that the catalog knows, its best entry.
create function api.catalog_package_find(jsonb) returns jsonb
language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_object_agg(found.wanted, found.server), '{}') from (
    select distinct on (p.wanted) p.wanted, s.server
      from jsonb_array_elements_text($1->'packages') as p (wanted)
      join app.catalog_server s on s.package = lower(p.wanted)
      where s.status = 'active' and s.verified and not s.fork
      order by p.wanted, s.known desc, s.id) found
$$;

grant execute on function api.catalog_package_find(jsonb) to authenticated;

call gate.adopt();
