-- What another role owns in these schemas is its own affair: a local installation keeps its accounts' functions in api.

create or replace procedure gate.adopt()
language plpgsql set search_path = ''
as $$
declare
  made record;
begin
  for made in
    select c.oid::regclass as name, c.relkind as kind, n.nspname as schema
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('app', 'api', 'gate') and c.relkind in ('r', 'p', 'v', 'm')
       and pg_catalog.pg_get_userbyid(c.relowner) in (current_user, 'agentopia_owner')
  loop
    execute format('alter table %s owner to agentopia_owner', made.name);
    if made.schema = 'app' and made.kind in ('r', 'p') then
      execute format('alter table %s enable row level security, force row level security', made.name);
    end if;
  end loop;
  for made in
    select c.oid::regclass as name
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('app', 'api', 'gate') and c.relkind = 'S'
       and pg_catalog.pg_get_userbyid(c.relowner) in (current_user, 'agentopia_owner')
       and not exists (select from pg_catalog.pg_depend d where d.objid = c.oid and d.deptype in ('a', 'i'))
  loop
    execute format('alter sequence %s owner to agentopia_owner', made.name);
  end loop;
  for made in
    select t.oid::regtype as name
      from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
     where n.nspname in ('app', 'api', 'gate') and t.typtype in ('d', 'e')
       and pg_catalog.pg_get_userbyid(t.typowner) in (current_user, 'agentopia_owner')
  loop
    execute format('alter type %s owner to agentopia_owner', made.name);
  end loop;
  for made in
    select p.oid::regprocedure as name
      from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
     where n.nspname in ('app', 'api', 'gate')
       and pg_catalog.pg_get_userbyid(p.proowner) in (current_user, 'agentopia_owner')
  loop
    execute format('alter routine %s owner to agentopia_owner', made.name);
    execute format('revoke all on routine %s from public', made.name);
  end loop;
end
$$;

call gate.adopt();
