-- Imports that lose nothing: what changes while a registry is read is read again, an entry that the database cannot take
-- costs only itself, and who was hidden by an entry that is gone is found again. And an entry says that it was given up.

-- Numbers that strangers wrote may be none, or beyond all measure.
create or replace function app.catalog_known(server jsonb, seeded boolean) returns real
language sql immutable set search_path = ''
as $$
  select greatest(
    case when seeded then 0.9 else 0 end,
    case when jsonb_typeof(popularity -> 'npmDownloadsPerMonth') = 'number'
      then least(1, log(greatest(10, (popularity ->> 'npmDownloadsPerMonth')::numeric)) / 5) else 0 end,
    case when jsonb_typeof(popularity -> 'pypiDownloadRank') = 'number'
      then least(1, 1 - 0.35 * (popularity ->> 'pypiDownloadRank')::numeric / 15000) else 0 end,
    case when sources ?| array['docker-mcp-registry', 'toolhive-registry'] then 0.75
         when sources ?| array['official-registry-seed', 'mcpm-registry'] then 0.4
         when sources ? 'toolsdk-mcp-registry' then 0.3 else 0 end)::real
  from (select case jsonb_typeof(server #> '{_meta,io.agentopia/popularity}') when 'object'
                 then server #> '{_meta,io.agentopia/popularity}' else '{}' end as popularity,
               coalesce(server #> '{_meta,io.agentopia/sources}', '[]') as sources) as m
$$;

-- Shows again what the seed knows and an entry of the same package hid, once no such entry is left.
create function app.catalog_show(of_package text) returns void
language sql set search_path = ''
as $$
  update app.catalog_server s set shadowed = false
   where s.package = of_package and s.shadowed and not exists (
     select from app.catalog_server other
      where other.package = of_package and other.seed is not null and not other.shadowed and other.status <> 'deleted')
$$;

-- Takes an entry of a registry. Answers 'changed', 'unchanged', or why the database refuses it.
create function app.catalog_take(entry jsonb, entry_status text, changed_at timestamptz) returns text
language plpgsql set search_path = ''
as $$
declare
  result text;
begin
  result := app.catalog_store(entry, entry_status, false, changed_at);
  if result = 'changed' and entry_status = 'deleted' then
    perform app.catalog_show(package) from app.catalog_server where name = entry ->> 'name';
  end if;
  return result;
exception when data_exception or program_limit_exceeded or integrity_constraint_violation then
  return 'it cannot be stored: ' || sqlerrm;
end
$$;

-- {url, full, worker}: goes on with the last import of this registry, or starts one. Only a full one goes on as a full one.
create or replace function api.catalog_import_begin(jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  all_of_it constant boolean := coalesce(($1 ->> 'full')::boolean, false);
  import app.catalog_import;
  begun_since timestamptz;
begin
  perform pg_advisory_xact_lock(hashtext('catalog_import ' || ($1 ->> 'url')));
  select * into import from app.catalog_import where url = $1 ->> 'url' order by started_at desc limit 1;
  if (import.state = 'running' or import.state = 'failed' and import.pages > 0) and (import.since is null or not all_of_it) then
    update app.catalog_import set state = 'running', detail = null, worker = ($1 ->> 'worker')::uuid, updated_at = now()
     where id = import.id returning * into import;
  else
    update app.catalog_import set state = 'failed', detail = 'A full import took its place.', finished_at = now()
     where id = import.id and state = 'running';
    if not all_of_it then
      -- Its pages are not of one moment: what changed behind the reader is older than what it saw last. Ten minutes, since
      -- the registry's clock is not ours.
      select max(least(seen_until, started_at - interval '10 minutes')) into begun_since
        from app.catalog_import where url = $1 ->> 'url' and state = 'complete';
    end if;
    insert into app.catalog_import (url, worker, since) values ($1 ->> 'url', ($1 ->> 'worker')::uuid, begun_since)
    returning * into import;
  end if;
  return app.catalog_import_json(import);
end
$$;

-- {id, worker, cursor, servers: [{server, status, updated_at}], skipped: [{name, reason}]}: a page and the cursor after it,
-- both or neither. No cursor: that was the last page.
create or replace function api.catalog_import_page(jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  import app.catalog_import;
  changed integer;
  same integer;
  gone integer;
  until timestamptz;
  skips jsonb;
begin
  select * into import from app.catalog_import
   where id = ($1 ->> 'id')::uuid and worker = ($1 ->> 'worker')::uuid and state = 'running' for update;
  if not found then
    raise exception using errcode = 'PT409', message = 'another worker goes on with this import',
      hint = 'Ask for its progress.';
  end if;
  select count(*) filter (where result = 'changed'), count(*) filter (where result = 'unchanged'),
         count(*) filter (where status = 'deleted' and result in ('changed', 'unchanged')), max(updated_at),
         ($1 -> 'skipped') || coalesce(jsonb_agg(jsonb_build_object('name', name, 'reason', result))
           filter (where result not in ('changed', 'unchanged')), '[]')
    into changed, same, gone, until, skips
    from (select r.server ->> 'name' as name, r.status, r.updated_at, app.catalog_take(r.server, r.status, r.updated_at) as result
            from jsonb_to_recordset($1 -> 'servers') as r (server jsonb, status text, updated_at timestamptz)) as taken;
  delete from app.catalog_embedding e using app.catalog_server s
   where s.id = e.server_id and s.status = 'deleted'
     and s.name in (select r.server ->> 'name' from jsonb_to_recordset($1 -> 'servers') as r (server jsonb));
  update app.catalog_import set
    cursor = $1 ->> 'cursor', pages = pages + 1, imported = imported + changed, unchanged = catalog_import.unchanged + same,
    removed = removed + gone, skipped = skipped + jsonb_array_length(skips),
    report = case when jsonb_array_length(report) < 200 then report || skips else report end,
    seen_until = greatest(seen_until, until), updated_at = now(),
    state = case when $1 ->> 'cursor' is null then 'complete' else 'running' end,
    finished_at = case when $1 ->> 'cursor' is null then now() end
  where id = import.id returning * into import;
  -- Rarely enough to cost nothing, often enough that words rank well while the import runs.
  if import.state = 'complete' or import.pages % 25 = 1 then
    perform app.catalog_recount();
  end if;
  return app.catalog_import_json(import);
end
$$;

-- The entry as it was taken, and that its registry calls it deprecated, which stands beside the entry there.
create function app.catalog_entry(entry app.catalog_server) returns jsonb
language sql immutable set search_path = ''
as $$
  select case entry.status when 'deprecated'
    then entry.server || jsonb_build_object('_meta',
      coalesce(entry.server -> '_meta', '{}') || '{"io.agentopia/status": "deprecated"}')
    else entry.server end
$$;

-- {names: [...]}: whole entries, in that order; a name that is unknown is left out.
create or replace function api.catalog_server_list(jsonb) returns jsonb
language sql security definer set search_path = ''
as $$
  select coalesce(jsonb_agg(app.catalog_entry(s) order by n.place), '[]')
    from jsonb_array_elements_text($1 -> 'names') with ordinality as n (name, place)
    join app.catalog_server s on s.name = n.name and s.status <> 'deleted'
$$;

create or replace function api.catalog_server_get(jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  found_entry jsonb;
begin
  select app.catalog_entry(s) into found_entry from app.catalog_server s where s.name = $1 ->> 'name' and s.status <> 'deleted';
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such server in the catalog.',
      hint = 'Search for it, or import a registry that has it.';
  end if;
  return found_entry;
end
$$;

-- The seed: one document, {"servers": [server.json, ...]}. Run at each start by whoever may write the tables. What a registry
-- said of a server's state stands: the seed knows nothing of that.
create or replace function app.catalog_seed(document jsonb) returns integer
language plpgsql set search_path = ''
as $$
declare
  changed integer;
begin
  -- Row-level security is forced on the owner too: the seed writes as the service does.
  perform set_config('request.jwt.claims', '{"role": "service"}', true);
  select count(*) filter (where app.catalog_store(entry, case s.status when 'deprecated' then 'deprecated' else 'active' end, true, null) = 'changed')
    into changed
    from jsonb_array_elements(document -> 'servers') as entry
    left join app.catalog_server s on s.name = entry ->> 'name';
  perform app.catalog_recount();
  return changed;
end
$$;

-- What entries that were gone before have left hidden.
select set_config('request.jwt.claims', '{"role": "service"}', true);
select app.catalog_show(package) from (select distinct package from app.catalog_server where shadowed) as hidden;

call gate.adopt();
