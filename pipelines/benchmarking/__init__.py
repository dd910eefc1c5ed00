"""The paper's tables: which models they compare (`rows`), figures over seeds (`results`), page, sheet and curves."""
