"""Pure data and pure functions: nothing here does I/O or imports docker, fabric, invoke or jinja2."""
