-- The users' tables, created by whichever instance comes first; harmless when they exist.
create table if not exists users (
    id         uuid primary key,
    name       text not null unique,
    password   text not null,                             -- passwords.py gives the format
    created_at timestamptz not null default now()
);
create table if not exists sessions (
    id         uuid primary key,
    user_id    uuid not null references users (id) on delete cascade,
    expires_at timestamptz not null
);
create index if not exists sessions_by_expiry on sessions (expires_at);

-- One key for all instances: the first one here makes it, from two random UUIDs (244 bits).
create table if not exists signing_key (
    id  integer primary key default 1 check (id = 1),
    key bytea not null
);
insert into signing_key (key) values (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
on conflict do nothing;
