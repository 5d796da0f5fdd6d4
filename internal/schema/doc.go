// Package schema checks JSON values against the JSON Schemas that clients send.
//
// A schema comes from outside and must not cost more than it is worth: nothing that it refers to is fetched, its size and
// depth are bounded, and so is the work that a value costs, regular expressions included. What can't be used is refused by
// [Compile], with a sentence for the client; docs/json-schema.md lists it. The checking itself is
// github.com/santhosh-tekuri/jsonschema, draft 2020-12 unless the schema names another.
//
//	compile.go  from bytes to a Schema
//	strict.go   what strict means: no members but those that the schema names
//	check.go    what is wrong with a value, in words that a model understands
//	fit.go      values of the wrong type whose meaning is plain
//	pattern.go  regular expressions, with a bound on their time
package schema
