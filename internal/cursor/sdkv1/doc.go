// Package sdkv1 speaks sdk.v1, the contract that Cursor publishes to drive its agents from other languages, with a
// bridge: a small local server that Cursor ships inside its Python package.
//
//	client.go    calls of ours to the bridge: unary ones, and the stream of a run
//	messages.go  what they carry, in the JSON form of the contract
//	callback.go  calls of the bridge to us: a tool of the client's is to be run
//	bridge.go    a running bridge, whoever runs it: package bridgechild, or bridgesim for tests
//
// The bridge speaks Connect over HTTP/1.1 with a bearer token, in JSON as well as in protobuf. JSON is what it sends
// its own callbacks in, and what most of the contract's content is (google.protobuf.Struct), so JSON is used
// throughout. The contract grows by addition only: unknown fields and types are ignored.
package sdkv1
