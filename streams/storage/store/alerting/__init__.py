"""What becomes of alerts: delivery with its receipts, and the inbox in which people see and acknowledge them."""
