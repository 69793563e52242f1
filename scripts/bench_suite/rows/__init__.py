"""A row of the table each: `measure(target, plan)` returns its figures by name."""
