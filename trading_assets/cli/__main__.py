"""`python -m trading_assets.cli`: the command without its entry point."""

from trading_assets.cli.app import main

if __name__ == "__main__":
    main()
