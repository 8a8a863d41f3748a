"""What all tests of kills share: processes forked from a warm one, instants of an operation, readers and a collecting
run beside it."""
