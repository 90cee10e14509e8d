//! What every table, policy, function and role must be like.

pub(crate) struct Rule {
    pub(crate) says: &'static str,
    /// A query that has a row for each violation.
    pub(crate) violations: &'static str,
    /// What breaks the rule; done by a superuser, and rolled back.
    pub(crate) mischief: &'static str,
}

const fn rule(says: &'static str, violations: &'static str, mischief: &'static str) -> Rule {
    Rule { says, violations, mischief }
}

pub(crate) const RULES: &[Rule] = &[
    rule(
        "row-level security is on and forced on every table of app, and agentopia_owner owns it",
        "select oid::regclass from pg_class where relnamespace = 'app'::regnamespace and relkind in ('r', 'p')
            and not (relrowsecurity and relforcerowsecurity and relowner = 'agentopia_owner'::regrole)",
        "create table app.mischief (id uuid);
         alter table app.mischief owner to agentopia_owner, enable row level security",
    ),
    rule(
        "a table without a policy shows nothing to anybody",
        "select c.oid::regclass from pg_class c where relnamespace = 'app'::regnamespace and relkind in ('r', 'p')
            and not exists (select from pg_policy where polrelid = c.oid)",
        "create table app.mischief (id uuid); call gate.adopt()",
    ),
    rule(
        "tables lie in app",
        "select oid::regclass from pg_class
          where relnamespace::regnamespace::text in ('api', 'gate', 'public') and relkind in ('r', 'p', 'f')",
        "create table public.mischief (id uuid)",
    ),
    rule(
        "nobody but the owner has a right on a table",
        "select c.oid::regclass || ' to ' || coalesce(nullif(acl.grantee, 0)::regrole::text, 'public')
           from pg_class c, aclexplode(c.relacl) acl
          where c.relnamespace = 'app'::regnamespace and acl.grantee <> c.relowner",
        "grant select on app.ephemeral to authenticated",
    ),
    rule(
        "a view sees what its caller sees",
        "select oid::regclass from pg_class where relnamespace::regnamespace::text in ('app', 'api') and relkind = 'v'
            and not coalesce(reloptions @> '{security_invoker=true}', false)",
        "create view app.mischief as select 1 as one",
    ),
    rule(
        "a materialized view knows no row-level security",
        "select oid::regclass from pg_class
          where relnamespace::regnamespace::text in ('app', 'api') and relkind = 'm'",
        "create materialized view app.mischief as select 1 as one",
    ),
    rule(
        "a claim is read once for a statement, not for each row: (select auth.uid())",
        "select polrelid::regclass || '.' || polname from pg_policy,
                lateral (select coalesce(pg_get_expr(polqual, polrelid), '') || ' '
                             || coalesce(pg_get_expr(polwithcheck, polrelid), '') as asks) _
          where regexp_replace(asks, '\\( SELECT (auth\\.uid|auth\\.role|app\\.toolbox_id)\\(\\) AS \\w+\\)', '', 'g')
                ~ '(auth\\.(uid|role|jwt)|app\\.toolbox_id|current_setting)'",
        "create policy mischief on app.ephemeral using (auth.role() = 'anon')",
    ),
    rule(
        "users write their own metadata: no policy believes it",
        "select polrelid::regclass || '.' || polname from pg_policy
          where pg_get_expr(polqual, polrelid) ~ 'meta_?data' or pg_get_expr(polwithcheck, polrelid) ~ 'meta_?data'",
        "create policy mischief on app.ephemeral using ((select auth.jwt() -> 'user_metadata' ->> 'admin') = 'yes')",
    ),
    rule(
        "a policy is for everybody: functions run as their owner",
        "select polrelid::regclass || '.' || polname from pg_policy
          where not polroles <@ array[0::oid, 'agentopia_owner'::regrole::oid]",
        "create policy mischief on app.ephemeral to authenticated using (true)",
    ),
    rule(
        "an id that a policy compares is the first column of an index",
        "select distinct p.polrelid::regclass || '.' || a.attname
           from pg_policy p
           join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid
                and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0
           join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
          where a.atttypid = 'uuid'::regtype
            and not exists (select from pg_index i where i.indrelid = d.refobjid and i.indkey[0] = d.refobjsubid)",
        "create table app.mischief (owner uuid);
         create policy mischief on app.mischief using (owner = (select auth.uid()))",
    ),
    rule(
        "public executes nothing",
        "select p.oid::regprocedure from pg_proc p
          where p.pronamespace::regnamespace::text in ('app', 'api', 'gate')
            and (p.proacl is null or exists (select from aclexplode(p.proacl) acl where acl.grantee = 0))",
        "create function api.mischief(jsonb) returns jsonb language sql as 'select $1'",
    ),
    rule(
        "the search path of every function is empty",
        "select p.oid::regprocedure from pg_proc p
          where p.pronamespace::regnamespace::text in ('app', 'api', 'gate')
            and not coalesce(p.proconfig @> array['search_path=\"\"'], false)",
        "create function app.mischief() returns int language sql set search_path = 'public' as 'select 1'",
    ),
    rule(
        "agentopia_owner owns every function",
        "select p.oid::regprocedure from pg_proc p
          where p.pronamespace::regnamespace::text in ('app', 'api', 'gate') and p.proowner <> 'agentopia_owner'::regrole",
        "create function app.mischief() returns int language sql as 'select 1'",
    ),
    rule(
        "only agentopia's callers are granted a function, and only one of api",
        "select p.oid::regprocedure || ' to ' || acl.grantee::regrole from pg_proc p, aclexplode(p.proacl) acl
          where p.pronamespace::regnamespace::text in ('app', 'api') and acl.grantee <> 0 and acl.grantee <> p.proowner
            and (p.pronamespace = 'app'::regnamespace
              or acl.grantee::regrole::text not in ('anon', 'authenticated', 'toolbox', 'service'))",
        "grant execute on function app.toolbox_id() to authenticated",
    ),
    rule(
        "an operation is api.noun_verb(jsonb) returns jsonb, its parameter unnamed, security definer",
        "select p.oid::regprocedure from pg_proc p where p.pronamespace = 'api'::regnamespace
            and not (p.pronargs = 1 and p.proargtypes[0] = 'jsonb'::regtype and p.prorettype = 'jsonb'::regtype
              and coalesce(array_to_string(p.proargnames, ''), '') = '' and not p.proretset and p.prosecdef
              and p.prokind = 'f' and p.proname ~ '^[a-z][a-z0-9_]*$')",
        "create function api.mischief(named jsonb) returns jsonb language sql security definer as 'select named'",
    ),
    rule(
        "somebody may call every operation",
        "select p.oid::regprocedure from pg_proc p where p.pronamespace = 'api'::regnamespace
            and not exists (select from aclexplode(p.proacl) acl where acl.grantee <> p.proowner)",
        "create function api.mischief(jsonb) returns jsonb language sql as 'select $1'; call gate.adopt()",
    ),
    rule(
        "a role that serves requests owns nothing",
        "select s.refobjid::regrole || ': ' || pg_describe_object(s.classid, s.objid, s.objsubid)
           from pg_shdepend s where s.deptype = 'o' and s.dbid = (select oid from pg_database where datname = current_database())
            and s.refobjid::regrole::text in ('agentopia_login', 'authenticator', 'anon', 'authenticated', 'toolbox', 'service')",
        "create schema mischief authorization agentopia_login",
    ),
    rule(
        "a role that serves requests has no powers",
        "select rolname from pg_roles
             where rolname in ('agentopia_login', 'agentopia_owner', 'authenticator', 'anon', 'authenticated', 'toolbox',
                               'service', 'agentopia_mischief')
               and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)",
        "create role agentopia_mischief bypassrls",
    ),
    rule(
        "a login inherits nothing, and what it becomes does not log in",
        "select rolname from pg_roles
             where (rolname in ('agentopia_login', 'authenticator', 'agentopia_heir') and rolinherit)
                or (rolname in ('agentopia_owner', 'toolbox', 'service') and rolcanlogin)",
        "create role agentopia_heir inherit",
    ),
    rule(
        "a login becomes a caller and nobody else",
        "select member::regrole || ' becomes ' || roleid::regrole from pg_auth_members
             where member::regrole::text in ('agentopia_login', 'agentopia_climber')
               and roleid::regrole::text not in ('anon', 'authenticated', 'toolbox', 'service')",
        "create role agentopia_climber in role agentopia_owner",
    ),
];
