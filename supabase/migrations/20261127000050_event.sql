-- What toolboxes say has happened: calls, refusals, deployments. A toolbox keeps each event until it is recorded here, and may
-- send it again: the spool it wrote it to and its number there make it the same.

create table app.event (
  id bigint generated always as identity primary key,
  owner uuid not null references auth.users (id) on delete cascade,
  toolbox_id uuid not null references app.toolbox (id) on delete cascade,
  spool uuid not null,
  number bigint not null,
  -- By the toolbox's clock.
  at timestamptz not null,
  received_at timestamptz not null default now(),
  kind text not null check (kind ~ '^[a-z_]{1,40}$'),
  data jsonb not null check (octet_length(data::text) <= 65536),
  unique (toolbox_id, spool, number)
);
create index on app.event (owner, received_at);
create index on app.event (toolbox_id, received_at);
create index on app.event (received_at);

create policy user_read on app.event for select
  using ((select auth.role()) = 'authenticated' and owner = (select auth.uid()));
create policy toolbox_read on app.event for select
  using ((select auth.role()) = 'toolbox' and toolbox_id = (select app.toolbox_id()));
create policy toolbox_add on app.event for insert
  with check ((select auth.role()) = 'toolbox' and toolbox_id = (select app.toolbox_id()) and owner = (select auth.uid()));
create policy service_read on app.event for select using ((select auth.role()) = 'service');
create policy service_expire on app.event for delete
  using ((select auth.role()) = 'service' and received_at < now() - interval '30 days');

-- {spool, events: [{number, at, what: {kind: data}}]}: all of them or none. Answers up to which number they are recorded.
create function api.event_record(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
  if (select count(*) from app.event e where e.toolbox_id = (select app.toolbox_id())
        and e.received_at > now() - interval '1 hour') >= 20000 then
    raise exception using errcode = 'PT429', message = 'This toolbox has sent 20000 events within the hour, which is the most.',
      hint = 'Keep them and send them later.';
  end if;
  insert into app.event (owner, toolbox_id, spool, number, at, kind, data)
    select auth.uid(), app.toolbox_id(), ($1->>'spool')::uuid, e.number, e.at, w.key, w.value
      from jsonb_to_recordset($1->'events') as e (number bigint, at timestamptz, what jsonb), jsonb_each(e.what) w
      order by e.number
    on conflict do nothing;
  return jsonb_build_object('through',
    (select max(e.number) from jsonb_to_recordset($1->'events') as e (number bigint)));
end
$$;

-- {toolbox_id, kind, before, limit}: the newest first; `before` is the id of the last one that the reader has.
create function api.event_list(jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
  perform api.toolbox_get(jsonb_build_object('id', $1->>'toolbox_id'));
  return (select coalesce(jsonb_agg(to_jsonb(e) order by e.id desc), '[]') from (
    select e.id, e.at, e.received_at, e.kind, e.data from app.event e
      where e.toolbox_id = ($1->>'toolbox_id')::uuid and ($1->>'kind' is null or e.kind = $1->>'kind')
        and ($1->>'before' is null or e.id < ($1->>'before')::bigint)
      order by e.id desc limit least(coalesce(($1->>'limit')::integer, 100), 1000)) e);
end
$$;

-- {since, agent_id}: what became of the calls, by agent, server and tool, the most called first.
create function api.usage_get(jsonb) returns jsonb
language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(to_jsonb(u) order by u.calls desc, u.server, u.tool), '[]') from (
    select e.toolbox_id, e.data->>'agent_id' as agent_id, e.data->>'server' as server, e.data->>'tool' as tool,
        sum((e.data->>'count')::bigint) as calls,
        coalesce(sum((e.data->>'count')::bigint) filter (where e.data->>'outcome' = 'answered'), 0) as answered,
        coalesce(sum((e.data->>'count')::bigint) filter (where e.data->>'outcome' = 'refused'), 0) as refused,
        sum((e.data->>'micros')::bigint) as micros, max(e.at) as last_at
      from app.event e
      where e.kind = 'call' and e.received_at >= coalesce(($1->>'since')::timestamptz, now() - interval '30 days')
        and ($1->>'agent_id' is null or e.data->>'agent_id' = $1->>'agent_id')
      group by 1, 2, 3, 4 order by 5 desc limit 1000) u
$$;

grant execute on function api.event_record(jsonb) to toolbox;
grant execute on function api.event_list(jsonb), api.usage_get(jsonb) to authenticated;

call gate.adopt();
