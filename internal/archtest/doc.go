// Package archtest holds the rules about the repository that no compiler checks: which package may import which, and
// what must not be in a file. It has tests only.
package archtest
