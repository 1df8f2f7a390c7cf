"""ClickHouse: tables, what is written into them, and the report that is read from them."""
