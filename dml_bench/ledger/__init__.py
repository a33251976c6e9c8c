"""Published records -> `results/LEDGER.md`: what is asked, what decides it, how it is said."""
