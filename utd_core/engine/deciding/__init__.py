"""From a command to a durable decision: queues, rules, transactions, and what leaves with them."""
