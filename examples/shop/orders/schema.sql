-- The orders' table, created by whichever instance comes first; harmless when it exists.
create table if not exists orders (
    id              uuid primary key,
    buyer           text not null,
    idempotency_key text not null,
    product         text not null,
    quantity        integer not null check (quantity > 0),
    total           integer not null,                     -- cents, at the price of that moment
    placed_at       timestamptz not null default now(),
    unique (buyer, idempotency_key)
);
create index if not exists orders_by_buyer on orders (buyer, placed_at desc);
