"""What `pipelines/chain.py` rests on: stages, requests, models, plans, identities and states."""
