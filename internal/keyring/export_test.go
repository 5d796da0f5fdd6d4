package keyring

// Within is the function within, for tests of what a keyring may do.
var Within = within
