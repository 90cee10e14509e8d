-- The search again, with a plan that is made once for a connection and does not depend on what Postgres believes of how many
-- entries are near: planned anew, or with a scan of the whole catalog, one search took two to three times as long.

-- {model, limit, needs: [{terms: [{word, weight}], vector, raw}]}: for each need the entries that its words or its vector
-- find, with what ranking needs to know. `vector` orders; `raw` is the need in its own words alone; both may be null.
create or replace function api.catalog_search(jsonb) returns jsonb
language plpgsql security definer set search_path = '' set jit = off set plan_cache_mode = force_generic_plan
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
      -- A word that every eightieth entry uses tells little and costs much; measured, every thirtieth found no more.
      select *, quote_literal(lexeme)::tsquery as query, (quote_literal(lexeme) || ':A')::tsquery as in_name,
             (quote_literal(lexeme) || ':B')::tsquery as in_description from weighed
       where documents > 0 and (documents < greatest(60, total / 80) or not exists (
         select from weighed where documents > 0 and documents < greatest(60, total / 80)))
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
    ), chosen as materialized (
      select n.id, coalesce(h.words, 0) as words from near n left join hit h on h.id = n.id
    )
    select coalesce(jsonb_agg(jsonb_build_object(
             'id', s.id, 'name', s.name, 'title', s.title, 'description', s.description, 'published', s.published, 'package', s.package,
             'repository', s.repository, 'known', s.known, 'fork', s.fork, 'verified', s.verified,
             'deprecated', s.status = 'deprecated', 'seeded', s.seed is not null,
             'similarity', 1 - (e.embedding operator(extensions.<=>) mixed),
             'own_similarity', 1 - (e.embedding operator(extensions.<=>) own),
             'words', chosen.words / greatest(0.0001, (select sum(weight) from weighed)))), '[]')
      into found
      from chosen
      -- One row each: said so, they are looked up whatever the plan believes of how many are found.
      cross join lateral (
        select * from app.catalog_server c where c.id = chosen.id and c.status <> 'deleted' and not c.shadowed limit 1) s
      left join lateral (
        select v.embedding from app.catalog_embedding v where v.server_id = chosen.id and v.model = $1 ->> 'model' limit 1) e on true;
    result := result || jsonb_build_array(found);
  end loop;
  return result;
end
$$;

call gate.adopt();
