-- Twins are known by their publisher's text, also where the seed describes a server in words of its own.

-- The description as its publisher wrote it; null while only the seed knows the server.
alter table app.catalog_server add column published text;

-- Writes one entry. Answers 'changed' or 'unchanged'.
create or replace function app.catalog_store(entry jsonb, entry_status text, seeding boolean, changed_at timestamptz) returns text
language plpgsql set search_path = ''
as $$
declare
  entry_name constant text := entry ->> 'name';
  entry_package constant text := app.catalog_package(entry);
  own jsonb;
  -- What the seed says of a server is no publisher's text.
  published constant text := case when not seeding then left(entry ->> 'description', 500) end;
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
  if old.name is not null and old.server = merged and old.status = entry_status and old.seed is not distinct from own
    and coalesce(published, old.published, '') = coalesce(old.published, '')
  then
    return 'unchanged';
  end if;
  select string_agg(app.catalog_words(tool ->> 'name'), ' ') into tools
    from jsonb_array_elements(case jsonb_typeof(merged #> '{_meta,io.agentopia/tools}') when 'array'
                                then merged #> '{_meta,io.agentopia/tools}' else '[]' end) with ordinality as t (tool, place)
   where place <= 40;
  label := concat_ws(' ', merged ->> 'title', app.catalog_words(merged ->> 'title'),
                     app.catalog_words(split_part(entry_name, '/', 2)), app.catalog_words(merged #>> '{packages,0,identifier}'));
  insert into app.catalog_server as s
    (name, server, seed, status, title, description, package, repository, document, known, fork, verified, content, published, updated_at)
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
    md5(concat_ws('|', entry_name, label, merged ->> 'description', tools)), published,
    coalesce(changed_at, now()))
  on conflict (name) do update set
    server = excluded.server, seed = excluded.seed, status = excluded.status, title = excluded.title,
    description = excluded.description, package = excluded.package, repository = excluded.repository,
    document = excluded.document, known = excluded.known, fork = excluded.fork, verified = excluded.verified,
    content = excluded.content, published = coalesce(excluded.published, s.published), updated_at = excluded.updated_at, shadowed = false;
  if own is not null and not seeding then
    update app.catalog_server set shadowed = true
     where package = entry_package and name <> entry_name and seed is not null and seed ->> 'name' = name and not shadowed;
  end if;
  return 'changed';
end
$$;

-- {model, limit, needs: [{terms: [{word, weight}], vector, raw}]}: for each need the entries that its words or its vector
-- find, with what ranking needs to know. `vector` orders; `raw` is the need in its own words alone; both may be null.
create or replace function api.catalog_search(jsonb) returns jsonb
language plpgsql security definer set search_path = '' set jit = off
as $$
declare
  need jsonb;
  result jsonb := '[]';
  found jsonb;
  -- Before the first analyze nothing is known of the table's size.
  total constant real := greatest(1000, (select reltuples from pg_catalog.pg_class where oid = 'app.catalog_server'::regclass));
  depth constant integer := ($1 ->> 'limit')::integer;
  mixed extensions.halfvec(384);
  own extensions.halfvec(384);
begin
  perform set_config('hnsw.ef_search', greatest(depth, 40)::text, true);
  for need in select jsonb_array_elements($1 -> 'needs') loop
    mixed := (need ->> 'vector')::extensions.halfvec(384);
    own := (need ->> 'raw')::extensions.halfvec(384);
    with asked as (
      select lexeme, max(weight) as weight
        from jsonb_to_recordset(need -> 'terms') as t (word text, weight real),
             unnest(to_tsvector('english', t.word)) as l (lexeme, positions, weights)
       group by lexeme
    ), weighed as (
      select a.lexeme, a.weight * ln(1 + total / greatest(1, coalesce(w.documents, 1))) as weight, coalesce(w.documents, 0) as documents
        from asked a left join app.catalog_word w on w.word = a.lexeme
    ), telling as (
      -- A word that every thirtieth entry uses tells little and costs much.
      select *, quote_literal(lexeme)::tsquery as query, (quote_literal(lexeme) || ':A')::tsquery as in_name,
             (quote_literal(lexeme) || ':B')::tsquery as in_description from weighed
       where documents > 0 and (documents < greatest(60, total / 30) or not exists (
         select from weighed where documents > 0 and documents < greatest(60, total / 30)))
       order by weight desc limit 8
    ), hit as materialized (
      -- In its name, in its description, in its tools.
      select s.id, s.known, sum(t.weight * case when s.document @@ t.in_name then 1.0
                                                when s.document @@ t.in_description then 0.6 else 0.3 end) as words
        from telling t join app.catalog_server s on s.document @@ t.query
       where s.status <> 'deleted' and not s.shadowed
       group by s.id
    ), near as (
      (select e.server_id as id from app.catalog_embedding e
        where mixed is not null order by e.embedding operator(extensions.<=>) mixed limit depth)
      union
      (select e.server_id from app.catalog_embedding e
        where mixed is not null and e.known order by e.embedding operator(extensions.<=>) mixed limit depth / 2)
      union
      (select id from hit order by words desc, id limit depth)
      union
      (select id from hit where known >= 0.6 order by words desc, id limit depth / 2)
    )
    select coalesce(jsonb_agg(jsonb_build_object(
             'id', s.id, 'name', s.name, 'title', s.title, 'description', s.description, 'published', s.published, 'package', s.package,
             'repository', s.repository, 'known', s.known, 'fork', s.fork, 'verified', s.verified,
             'deprecated', s.status = 'deprecated', 'seeded', s.seed is not null,
             'similarity', 1 - (e.embedding operator(extensions.<=>) mixed),
             'own_similarity', 1 - (e.embedding operator(extensions.<=>) own),
             'words', coalesce(h.words, 0) / greatest(0.0001, (select sum(weight) from weighed)))), '[]')
      into found
      from near n
      join app.catalog_server s on s.id = n.id and s.status <> 'deleted' and not s.shadowed
      left join app.catalog_embedding e on e.server_id = s.id and e.model = $1 ->> 'model'
      left join hit h on h.id = s.id;
    result := result || jsonb_build_array(found);
  end loop;
  return result;
end
$$;

call gate.adopt();
