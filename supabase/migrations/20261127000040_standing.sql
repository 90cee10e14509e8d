-- How a toolbox stands: what counts as its latest word, how far its clock is off, and that nobody is called late for an
-- outage of the control plane's own.

-- Seconds that its clock was ahead when it last checked in.
alter table app.toolbox add column skew bigint;

-- When the control plane was last seen at work, and when it last came back after a pause.
create table app.plane (
  single boolean primary key default true check (single),
  alive_at timestamptz not null default now(),
  resumed_at timestamptz not null default '-infinity'
);
insert into app.plane default values;
create policy everybody_reads on app.plane for select using (true);
create policy service_beats on app.plane for update using ((select auth.role()) = 'service');

-- Called every minute. After three without a call there was an outage.
create function app.plane_beat() returns void
language sql set search_path = '' as $$
  update app.plane set
    resumed_at = case when alive_at < now() - interval '3 minutes' then now() else resumed_at end, alive_at = now()
$$;

-- For five minutes after an outage of ours a toolbox may still be on its way back: what was known of it stands.
create function app.plane_recovers() returns boolean
language sql stable set search_path = '' as $$
  select alive_at < now() - interval '3 minutes' or resumed_at > now() - interval '5 minutes' from app.plane
$$;

-- Late after two check-ins that did not come, offline after three: each comes up to a fifth after its time, and the network
-- has five seconds.
create or replace function app.toolbox_state(box app.toolbox) returns text
language sql stable set search_path = '' as $$
  select case
    when box.public_key is null then 'pending'
    when box.last_seen_at > now() - make_interval(secs => 2 * 1.2 * app.checkin_interval() + 5) then 'online'
    when app.plane_recovers() then box.state
    when box.last_seen_at > now() - make_interval(secs => 3 * 1.2 * app.checkin_interval() + 5) then 'late'
    else 'offline'
  end
$$;

create or replace function app.toolbox_json(box app.toolbox) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'id', box.id, 'name', box.name, 'state', app.toolbox_state(box), 'created_at', box.created_at,
    'last_seen_at', box.last_seen_at, 'gateway', box.gateway, 'generation', box.generation,
    'applied_generation', box.applied_generation, 'version', box.version, 'trouble', box.trouble, 'skew', box.skew)
$$;

create or replace function api.toolbox_checkin(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  box app.toolbox;
  boot text := $1->>'boot_id';
  number bigint := ($1->>'sequence')::bigint;
  fresh boolean;
begin
  select * into box from app.toolbox where id = (select app.toolbox_id()) for update;
  if not found then
    raise exception using errcode = 'PT404', message = 'There is no such toolbox.', hint = 'Enrol the toolbox again.';
  end if;
  -- A message may arrive after a later one of the same boot, or after the daemon has started anew. Boot ids grow with time, so
  -- an older one is a message that was long under way; unless nothing else is heard, for a clock may have been turned back.
  fresh := case when box.boot_id = boot then number >= box.sequence
    else boot <> all (box.retired_boots) and (box.boot_id is null or boot collate "C" > box.boot_id collate "C"
      or box.last_seen_at < now() - interval '1 minute') end;
  if fresh then
    update app.toolbox t set
        boot_id = boot, sequence = number, state = 'online', last_seen_at = now(), version = $1->>'version',
        gateway = $1->>'gateway', docker = ($1->>'docker')::boolean, trouble = $1->>'trouble',
        skew = extract(epoch from ($1->>'sent_at')::timestamptz - now())::bigint,
        applied_generation = least(($1->>'applied_generation')::bigint, t.generation),
        retired_boots = case when t.boot_id is null or t.boot_id = boot then t.retired_boots
          else (array_prepend(t.boot_id, t.retired_boots))[1:16] end
      where t.id = box.id returning * into box;
    perform app.checkin_servers(box, coalesce($1->'servers', '[]'));
  end if;
  return jsonb_build_object(
    'interval', app.checkin_interval(), 'now', now(), 'revocations', app.revocation_list(box),
    'desired', case when box.generation > ($1->>'known_generation')::bigint then app.desired_state(box) end);
end
$$;

call gate.adopt();
