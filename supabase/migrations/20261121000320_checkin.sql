-- Check-in: the one call in which a toolbox says what it sees and hears what it should do.

create function app.desired_state(box app.toolbox) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('generation', box.generation, 'servers', coalesce(
    (select jsonb_agg(app.server_spec(s) order by s.name) from app.server s where s.toolbox_id = box.id), '[]'))
$$;

create function app.revocation_list(box app.toolbox) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('sequence', box.revocation_sequence, 'revoked', '[]'::jsonb, 'epochs', coalesce(
    (select jsonb_object_agg(r.agent_id, r.epoch) from app.revocation r where r.owner = box.owner), '{}'))
$$;

-- Records what the toolbox says of its servers. A status of an earlier revision tells of a time before the last
-- restart and is dropped; a list of tools is kept in any case, because the toolbox sends it only once.
create function app.checkin_servers(box app.toolbox, reported jsonb) returns void
language sql set search_path = '' as $$
  update app.server s set status = r.value - 'tools'
    from jsonb_array_elements(reported) r
    where s.id = (r.value->>'id')::uuid and s.toolbox_id = box.id and (r.value->>'revision')::integer >= s.revision;

  with listing as (
    select s.id, s.listed_at is null as first, r.value->'tools' as tools
      from jsonb_array_elements(reported) r
      join app.server s on s.id = (r.value->>'id')::uuid and s.toolbox_id = box.id
      where jsonb_typeof(r.value->'tools') = 'array'
  ), tool as (
    select distinct on (l.id, t.value->>'name') l.id, l.first, t.value->>'name' as name, t.value->>'digest' as digest,
        t.value->'definition' as definition, t.value->>'class' as class
      from listing l, jsonb_array_elements(l.tools) t
      order by l.id, t.value->>'name'
  ), gone as (
    update app.server_tool t set listed = false
      from listing l
      where t.server_id = l.id and t.listed
        and not exists (select from tool where tool.id = t.server_id and tool.name = t.name)
  ), listed as (
    update app.server s set listed_at = now() from listing l where s.id = l.id and l.first
  )
  insert into app.server_tool as t (server_id, owner, toolbox_id, name, digest, definition, class, seen_digest,
      seen_definition, seen_class, founding)
    select tool.id, box.owner, box.id, tool.name, tool.digest, tool.definition, tool.class, tool.digest,
        tool.definition, tool.class, tool.first from tool
    on conflict (server_id, name) do update set listed = true, seen_digest = excluded.seen_digest,
      seen_definition = excluded.seen_definition, seen_class = excluded.seen_class
$$;

create function api.toolbox_checkin(jsonb) returns jsonb
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
  -- A message may arrive after a later one of the same boot, or after the daemon has started anew.
  fresh := case when box.boot_id = boot then number >= box.sequence else boot <> all (box.retired_boots) end;
  if fresh then
    update app.toolbox t set
        boot_id = boot, sequence = number, state = 'online', last_seen_at = now(), version = $1->>'version',
        gateway = $1->>'gateway', docker = ($1->>'docker')::boolean, trouble = $1->>'trouble',
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

grant execute on function api.toolbox_checkin(jsonb) to toolbox;

call gate.adopt();
