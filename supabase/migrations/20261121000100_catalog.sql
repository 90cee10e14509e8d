-- The catalog: MCP servers that anybody may choose, how they are found, and where an import stands.
--
-- `server` is an entry in the shape of the official registry's server.json. Everything else in its row is derived from it
-- here, so an entry means the same whether it came with the seed or with an import. Vectors live in a narrow table of their
-- own: they come later, from the indexer, and an entry without one is still found by its words.

create table app.catalog_server (
  id bigint generated always as identity primary key,
  name text not null unique check (length(name) between 3 and 200),
  server jsonb not null,
  -- What our own seed knows about the server: pinned packages, instructions, hosts. It survives an import.
  seed jsonb,
  status text not null default 'active' check (status in ('active', 'deprecated', 'deleted')),
  title text not null,
  description text not null,
  -- `npm:name` of the first package.
  package text,
  repository text,
  document tsvector not null,
  -- 0 to 1: how well known it is, by what the metadata says.
  known real not null,
  -- Somebody else's server, published again.
  fork boolean not null,
  -- False when its package's name could not be confirmed.
  verified boolean not null,
  -- What the vector is made from, digested; another digest means another vector.
  content text not null,
  -- Another row of the same package took its place.
  shadowed boolean not null default false,
  updated_at timestamptz not null default now()
);
create index on app.catalog_server using gin (document);
create index on app.catalog_server (package);

create table app.catalog_embedding (
  server_id bigint primary key references app.catalog_server (id) on delete cascade,
  embedding extensions.halfvec(384) not null,
  model text not null,
  content text not null,
  known boolean not null
);
alter table app.catalog_embedding alter column embedding set storage plain;
create index on app.catalog_embedding using hnsw (embedding extensions.halfvec_cosine_ops);
-- The well-known few are searched by themselves too: forks bury them.
create index on app.catalog_embedding using hnsw (embedding extensions.halfvec_cosine_ops) where known;

-- How many entries use a word: what makes a rare word telling.
create table app.catalog_word (
  word text primary key,
  documents integer not null
);

create table app.catalog_import (
  id uuid primary key default gen_random_uuid(),
  url text not null,
  state text not null default 'running' check (state in ('running', 'complete', 'failed')),
  -- Whoever holds it may store the next page; a later worker takes over.
  worker uuid not null,
  -- Read entries changed after this moment; null reads everything.
  since timestamptz,
  cursor text,
  pages integer not null default 0,
  imported integer not null default 0,
  unchanged integer not null default 0,
  removed integer not null default 0,
  skipped integer not null default 0,
  -- The first 200 entries that were skipped: [{name, reason}].
  report jsonb not null default '[]',
  detail text,
  -- The newest change that was seen: where the next import starts.
  seen_until timestamptz,
  started_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  finished_at timestamptz
);
create index on app.catalog_import (url, started_at desc);

-- The catalog is the same for everybody, and who may call the functions that read it is said below. A condition here would
-- come before every index on words: their operator is not leakproof.
create policy everybody_reads on app.catalog_server for select using (true);
create policy everybody_reads on app.catalog_embedding for select using (true);
create policy everybody_reads on app.catalog_word for select using (true);
create policy service_inserts on app.catalog_server for insert with check ((select auth.role()) = 'service');
create policy service_updates on app.catalog_server for update using ((select auth.role()) = 'service');
create policy service_deletes on app.catalog_server for delete using ((select auth.role()) = 'service');
create policy service_inserts on app.catalog_embedding for insert with check ((select auth.role()) = 'service');
create policy service_updates on app.catalog_embedding for update using ((select auth.role()) = 'service');
create policy service_deletes on app.catalog_embedding for delete using ((select auth.role()) = 'service');
create policy service_inserts on app.catalog_word for insert with check ((select auth.role()) = 'service');
create policy service_deletes on app.catalog_word for delete using ((select auth.role()) = 'service');
create policy service_all on app.catalog_import for all using ((select auth.role()) = 'service');

-- Words of a name: punctuation and camel case separate.
create function app.catalog_words(name text) returns text
language sql immutable set search_path = ''
as $$
  select regexp_replace(regexp_replace(coalesce(name, ''), '([a-z])([A-Z])', '\1 \2', 'g'), '[^[:alnum:]]+', ' ', 'g')
$$;

-- How well known an entry is. The official registry keeps none of these keys: then only the seed is known.
create function app.catalog_known(server jsonb, seeded boolean) returns real
language sql immutable set search_path = ''
as $$
  select greatest(
    case when seeded then 0.9 else 0 end,
    case when popularity ? 'npmDownloadsPerMonth'
      then least(1, log(greatest(10, (popularity ->> 'npmDownloadsPerMonth')::numeric)) / 5) else 0 end,
    case when popularity ? 'pypiDownloadRank' then 1 - 0.35 * (popularity ->> 'pypiDownloadRank')::numeric / 15000 else 0 end,
    case when sources ?| array['docker-mcp-registry', 'toolhive-registry'] then 0.75
         when sources ?| array['official-registry-seed', 'mcpm-registry'] then 0.4
         when sources ? 'toolsdk-mcp-registry' then 0.3 else 0 end)::real
  from (select case jsonb_typeof(server #> '{_meta,io.agentopia/popularity}') when 'object'
                 then server #> '{_meta,io.agentopia/popularity}' else '{}' end as popularity,
               coalesce(server #> '{_meta,io.agentopia/sources}', '[]') as sources) as m
$$;

create function app.catalog_package(server jsonb) returns text
language sql immutable set search_path = ''
as $$
  select lower((server #>> '{packages,0,registryType}') || ':' || (server #>> '{packages,0,identifier}'))
$$;

-- Writes one entry. Answers 'changed' or 'unchanged'.
create function app.catalog_store(entry jsonb, entry_status text, seeding boolean, changed_at timestamptz) returns text
language plpgsql set search_path = ''
as $$
declare
  entry_name constant text := entry ->> 'name';
  entry_package constant text := app.catalog_package(entry);
  own jsonb;
  merged jsonb := entry;
  label text;
  tools text;
  old app.catalog_server;
begin
  select * into old from app.catalog_server where name = entry_name;
  if seeding then
    own := entry;
    -- An import may have brought more than the seed knows.
    if old.name is not null and old.seed is null then
      merged := old.server;
    end if;
  else
    own := coalesce(old.seed, (select s.seed from app.catalog_server s
                                where s.package = entry_package and s.seed is not null limit 1));
  end if;
  if own is not null then
    merged := merged
      || jsonb_build_object('packages', own -> 'packages', '_meta', coalesce(merged -> '_meta', '{}') || coalesce(own -> '_meta', '{}'))
      || jsonb_build_object('description', own -> 'description')
      || case when own ? 'title' then jsonb_build_object('title', own -> 'title') else '{}' end;
  end if;
  if old.name is not null and old.server = merged and old.status = entry_status and old.seed is not distinct from own then
    return 'unchanged';
  end if;
  select string_agg(app.catalog_words(tool ->> 'name'), ' ') into tools
    from jsonb_array_elements(case jsonb_typeof(merged #> '{_meta,io.agentopia/tools}') when 'array'
                                then merged #> '{_meta,io.agentopia/tools}' else '[]' end) with ordinality as t (tool, place)
   where place <= 40;
  label := concat_ws(' ', merged ->> 'title', app.catalog_words(merged ->> 'title'),
                     app.catalog_words(split_part(entry_name, '/', 2)), app.catalog_words(merged #>> '{packages,0,identifier}'));
  insert into app.catalog_server as s
    (name, server, seed, status, title, description, package, repository, document, known, fork, verified, content, updated_at)
  values (
    entry_name, merged, own, entry_status,
    coalesce(nullif(merged ->> 'title', ''), split_part(entry_name, '/', 2)),
    left(merged ->> 'description', 500), app.catalog_package(merged),
    nullif(lower(regexp_replace(coalesce(merged #>> '{repository,url}', ''), '(\.git)?/*$', '')), ''),
    setweight(to_tsvector('english', label), 'A')
      || setweight(to_tsvector('english', left(merged ->> 'description', 2000)), 'B')
      || setweight(to_tsvector('english', concat_ws(' ', tools, merged #>> '{_meta,io.agentopia/tags}', merged #>> '{_meta,io.agentopia/category}')), 'C'),
    app.catalog_known(merged, own is not null),
    entry_name || ' ' || coalesce(merged #>> '{packages,0,identifier}', '') ~* '(^|[./@ ])(iflow-mcp|mseep|mcpbind|universal-mcp)[-_./]',
    coalesce(merged #>> '{_meta,io.agentopia/unverified}', 'false') <> 'true' or own is not null,
    md5(concat_ws('|', entry_name, label, merged ->> 'description', tools)),
    coalesce(changed_at, now()))
  on conflict (name) do update set
    server = excluded.server, seed = excluded.seed, status = excluded.status, title = excluded.title,
    description = excluded.description, package = excluded.package, repository = excluded.repository,
    document = excluded.document, known = excluded.known, fork = excluded.fork, verified = excluded.verified,
    content = excluded.content, updated_at = excluded.updated_at, shadowed = false;
  if own is not null and not seeding then
    update app.catalog_server set shadowed = true
     where package = entry_package and name <> entry_name and seed is not null and seed ->> 'name' = name and not shadowed;
  end if;
  return 'changed';
end
$$;

create function app.catalog_recount() returns void
language plpgsql set search_path = ''
as $$
begin
  delete from app.catalog_word;
  insert into app.catalog_word
    select word, ndoc from ts_stat('select document from app.catalog_server where status <> ''deleted'' and not shadowed');
end
$$;

-- The seed: one document, {"servers": [server.json, ...]}. Run by whoever may write the tables (a migration's role).
create function app.catalog_seed(document jsonb) returns integer
language plpgsql set search_path = ''
as $$
declare
  changed integer;
begin
  -- Row-level security is forced on the owner too: the seed writes as the service does.
  perform set_config('request.jwt.claims', '{"role": "service"}', true);
  select count(*) filter (where app.catalog_store(entry, 'active', true, null) = 'changed') into changed
    from jsonb_array_elements(document -> 'servers') as entry;
  perform app.catalog_recount();
  return changed;
end
$$;

create function app.catalog_import_json(import app.catalog_import) returns jsonb
language sql stable set search_path = ''
as $$
  select to_jsonb(import) - 'worker'
    || jsonb_build_object('embedded', (select count(*) from app.catalog_embedding),
                          'servers', (select count(*) from app.catalog_server where status <> 'deleted' and not shadowed))
$$;

-- {url, full, worker}: goes on with the last import of this registry, or starts one.
create function api.catalog_import_begin(jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  import app.catalog_import;
  begun_since timestamptz;
begin
  perform pg_advisory_xact_lock(hashtext('catalog_import ' || ($1 ->> 'url')));
  select * into import from app.catalog_import where url = $1 ->> 'url' order by started_at desc limit 1;
  if import.state in ('running', 'failed') and import.pages > 0 or import.state = 'running' then
    update app.catalog_import set state = 'running', detail = null, worker = ($1 ->> 'worker')::uuid, updated_at = now()
     where id = import.id returning * into import;
  else
    if not coalesce(($1 ->> 'full')::boolean, false) then
      select max(seen_until) into begun_since from app.catalog_import where url = $1 ->> 'url' and state = 'complete';
    end if;
    insert into app.catalog_import (url, worker, since) values ($1 ->> 'url', ($1 ->> 'worker')::uuid, begun_since)
    returning * into import;
  end if;
  return app.catalog_import_json(import);
end
$$;

-- {id, worker, cursor, servers: [{server, status, updated_at}], skipped: [{name, reason}]}: a page and the cursor after it,
-- both or neither. No cursor: that was the last page.
create function api.catalog_import_page(jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  import app.catalog_import;
  changed integer;
  same integer;
  gone integer;
  until timestamptz;
begin
  select * into import from app.catalog_import
   where id = ($1 ->> 'id')::uuid and worker = ($1 ->> 'worker')::uuid and state = 'running' for update;
  if not found then
    raise exception using errcode = 'PT409', message = 'another worker goes on with this import',
      hint = 'Ask for its progress.';
  end if;
  select count(*) filter (where result = 'changed'), count(*) filter (where result = 'unchanged'),
         count(*) filter (where status = 'deleted'), max(updated_at)
    into changed, same, gone, until
    from (select r.status, r.updated_at, app.catalog_store(r.server, r.status, false, r.updated_at) as result
            from jsonb_to_recordset($1 -> 'servers') as r (server jsonb, status text, updated_at timestamptz)) as stored;
  delete from app.catalog_embedding e using app.catalog_server s
   where s.id = e.server_id and s.status = 'deleted'
     and s.name in (select r.server ->> 'name' from jsonb_to_recordset($1 -> 'servers') as r (server jsonb));
  update app.catalog_import set
    cursor = $1 ->> 'cursor', pages = pages + 1, imported = imported + changed, unchanged = catalog_import.unchanged + same,
    removed = removed + gone, skipped = skipped + jsonb_array_length($1 -> 'skipped'),
    report = case when jsonb_array_length(report) < 200 then report || ($1 -> 'skipped') else report end,
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

-- {id, worker, detail}: what was stored stays, and the next begin goes on behind it.
create function api.catalog_import_fail(jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  import app.catalog_import;
begin
  update app.catalog_import set state = 'failed', detail = left($1 ->> 'detail', 500), updated_at = now(), finished_at = now()
   where id = ($1 ->> 'id')::uuid and worker = ($1 ->> 'worker')::uuid and state = 'running' returning * into import;
  return app.catalog_import_json(import);
end
$$;

create function api.catalog_import_get(jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  import app.catalog_import;
begin
  select * into import from app.catalog_import where id = ($1 ->> 'id')::uuid;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such import.', hint = 'Start one with POST /api/catalog/import.';
  end if;
  return app.catalog_import_json(import);
end
$$;

-- {model, limit}: entries whose vector is missing or old, the well-known first.
create function api.catalog_pending(jsonb) returns jsonb
language sql security definer set search_path = ''
as $$
  select coalesce(jsonb_agg(to_jsonb(p)), '[]') from (
    select s.id, s.name, s.title, s.description, s.package, s.content
      from app.catalog_server s left join app.catalog_embedding e on e.server_id = s.id
     where s.status <> 'deleted' and not s.shadowed
       and (e.server_id is null or e.content <> s.content or e.model <> $1 ->> 'model')
     order by s.known desc, s.id limit ($1 ->> 'limit')::integer) as p
$$;

-- {model, rows: [{id, content, vector: '[…]'}]}
create function api.catalog_embed(jsonb) returns jsonb
language sql security definer set search_path = ''
as $$
  with stored as (
    insert into app.catalog_embedding (server_id, embedding, model, content, known)
    select s.id, r.vector::extensions.halfvec(384), $1 ->> 'model', r.content, s.known >= 0.6
      from jsonb_to_recordset($1 -> 'rows') as r (id bigint, content text, vector text)
      join app.catalog_server s on s.id = r.id
    on conflict (server_id) do update set embedding = excluded.embedding, model = excluded.model,
      content = excluded.content, known = excluded.known
    returning 1)
  select jsonb_build_object('stored', count(*)) from stored
$$;

-- {source, servers: [server.json, ...]}: entries from elsewhere than an import.
create function api.catalog_server_upsert(jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  changed integer;
begin
  select count(*) filter (where app.catalog_store(entry, 'active', coalesce($1 ->> 'source', '') = 'seed', null) = 'changed')
    into changed from jsonb_array_elements($1 -> 'servers') as entry;
  perform app.catalog_recount();
  return jsonb_build_object('changed', changed);
end
$$;

grant execute on function api.catalog_import_begin(jsonb), api.catalog_import_page(jsonb), api.catalog_import_fail(jsonb),
  api.catalog_import_get(jsonb), api.catalog_pending(jsonb), api.catalog_embed(jsonb), api.catalog_server_upsert(jsonb)
  to service;

call gate.adopt();
