-- Whoever says which version of a server he wants gets that one.

-- A server that does what is asked for is shared: the same entry of the catalog (unless a version is pinned) or the same
-- package or image, with the same arguments and settings (and the same name, if its user gave one). Otherwise a new one, called `name` or, if
-- there is none, `suggested`. Says whether the toolbox has something to do: a server that had failed is tried again.
create or replace function app.server_ensure(box app.toolbox, wanted jsonb, directly boolean, out server app.server, out changed boolean)
language plpgsql set search_path = '' as $$
declare
  wanted_args text[] := array(select jsonb_array_elements_text(coalesce(wanted->'args', '[]')));
  wanted_secrets text[] := array(select jsonb_array_elements_text(coalesce(wanted->'secrets', '[]')));
  wanted_hosts text[] := array(select jsonb_array_elements_text(coalesce(wanted->'hosts', '[]')));
  all_secrets text[];
  all_hosts text[];
begin
  select * into server from app.server s
    where s.toolbox_id = box.id
      -- The vault keeps a server's credentials under its entry's name: another entry's server would not get them.
      and ((s.catalog_name = wanted->>'catalog_name' and not coalesce((wanted->>'pinned')::boolean, false)) or (s.source = wanted->'source'
        and (s.catalog_name is not distinct from wanted->>'catalog_name' or (s.secrets = '{}' and wanted_secrets = '{}'))))
      and s.args = wanted_args and s.env = coalesce(wanted->'env', '{}')
      and (not directly or wanted->>'name' is null or s.name = wanted->>'name')
    order by s.created_at, s.id limit 1;
  if found then
    all_secrets := array(select distinct unnest(server.secrets || wanted_secrets) order by 1);
    all_hosts := array(select distinct unnest(server.hosts || wanted_hosts) order by 1);
    changed := all_secrets <> array(select unnest(server.secrets) order by 1)
      or all_hosts <> array(select unnest(server.hosts) order by 1)
      or coalesce(server.status->>'state' in ('failed', 'stopped'), false);
    update app.server s set
        deployed = s.deployed or directly, secrets = all_secrets, hosts = all_hosts,
        revision = s.revision + changed::integer, status = case when changed then '{}' else s.status end
      where s.id = server.id returning * into server;
    return;
  end if;
  if (select count(*) from app.server s where s.toolbox_id = box.id) >= 100 then
    raise exception using errcode = 'PT409', message = 'This toolbox has 100 servers, which is the most.',
      hint = 'Delete servers or agents that you no longer use.';
  end if;
  changed := true;
  insert into app.server (owner, toolbox_id, name, catalog_name, source, args, env, secrets, hosts, deployed)
    values (box.owner, box.id, app.server_name(box.id, coalesce(wanted->>'name', wanted->>'suggested')), wanted->>'catalog_name', wanted->'source',
      wanted_args, coalesce(wanted->'env', '{}'), array(select distinct unnest(wanted_secrets) order by 1),
      array(select distinct unnest(wanted_hosts) order by 1), directly)
    returning * into server;
end
$$;

call gate.adopt();
