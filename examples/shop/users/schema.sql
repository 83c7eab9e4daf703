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
