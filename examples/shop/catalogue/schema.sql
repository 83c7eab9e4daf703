-- The catalogue's table, created by whichever instance comes first; harmless when it exists. Orders takes from the
-- stock in its own transaction: services that share a database also share who may do what in it.
create table if not exists products (
    id          text primary key,
    name        text not null,
    description text not null,
    price       integer not null check (price > 0),    -- cents
    stock       integer not null check (stock >= 0),   -- the last word on overselling
    position    integer not null
);

insert into products (id, name, description, price, stock, position) values
    ('blue-mug',      'Blue mug',           'Stoneware, 350 ml, dishwasher-proof.',           1400, 100000, 1),
    ('notebook',      'Dotted notebook',    'A5, 160 pages that lie flat.',                    900, 100000, 2),
    ('cloud-pillow',  'Cloud pillow',       'As soft as it looks.',                           2900, 100000, 3),
    ('brass-pen',     'Brass pen',          'Takes standard refills, outlives them all.',     3800, 100000, 4),
    ('canvas-bag',    'Canvas bag',         'Carries a rack unit, if it must.',               1900, 100000, 5),
    ('limited-print', 'Limited print',      'Fifty numbered sheets. There is no fifty-first.', 7500,    50, 6)
on conflict (id) do nothing;
