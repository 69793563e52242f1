"""`python -m cortex_cli` is `cortex`."""

from cortex_cli.main import main

main()
