"""What the edge cannot do alone: aggregation, translation, validation, stored answers, sign-in; the outbound proxy."""
