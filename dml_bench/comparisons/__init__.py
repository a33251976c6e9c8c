"""Two results side by side: query by query, recipe by recipe, or one of them made again."""
