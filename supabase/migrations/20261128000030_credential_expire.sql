-- A credential that has ended is taken from what runs with it: those servers start anew, without it.

create policy service_read on app.server for select using ((select auth.role()) = 'service');
create policy service_restart on app.server for update using ((select auth.role()) = 'service');

-- Ends what has expired: the rows go, the audit says so, and the servers hear it with their toolbox's next check-in.
create or replace function api.credential_expire(jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  ended integer;
  touched uuid[];
begin
  -- Toolboxes before servers, as everywhere: two that change the same ones wait for each other in one order.
  perform from app.toolbox t
    where t.id in (select s.toolbox_id from app.server s join app.credential c
      on c.owner = s.owner and c.server = app.server_credential_name(s) and c.key = any (s.secrets)
      where c.expires_at <= now())
    order by t.id for update;
  with gone as (
    delete from app.credential where expires_at <= now() returning *
  ), written as (
    insert into app.access (owner, action, credential_id, server, key, by)
      select owner, 'delete', id, server, key, 'service' from gone returning 1
  ), restarted as (
    update app.server s set revision = s.revision + 1, status = '{}' from gone
      where s.owner = gone.owner and app.server_credential_name(s) = gone.server and gone.key = any (s.secrets)
      returning s.toolbox_id
  )
  select (select count(*) from written), (select array_agg(distinct toolbox_id) from restarted) into ended, touched;
  perform app.toolbox_bump(box) from unnest(touched) box;
  return jsonb_build_object('credentials', ended);
end
$$;

call gate.adopt();
