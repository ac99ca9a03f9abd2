#error taken
