"""Who a user is: tokens, and the generations that end them."""
