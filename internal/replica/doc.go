// Package replica lets several servers that share a database work as one: a request whose run is held by another replica is
// sent there.
//
// A run that waits for tool results lives in the memory of the replica that began it. A load balancer may send the results
// to any other:
//
//	client ──► load balancer ──► replica B ──► Peers.Holder: who waits for these calls?  (the database knows)
//	                                 │
//	                                 └──► Peers.Forward ── TLS, whole request ──► replica A, which goes on with its run
//
// The answer comes back the same way, byte for byte as it arrives. Replica A does all that it does for its own clients: it
// authenticates the key, holds it against its limits, and writes the request log. So there is nothing to trust but that the
// other end is a replica, which both ends prove (identity.go).
//
// A replica that is about to end takes no new turns. What comes to it all the same is sent, in the same way, to one that does
// (Peers.Open), for as long as it waits for what it holds itself.
//
// When A can't be reached, B goes on by itself from the client's transcript, as it does for a run that has ended. Nothing is
// lost by that but time and the upstream cache. A replica that has died is not asked at all once its lease has ended, and
// one that could not be reached is left alone for a moment.
//
//	peers.go      who holds what
//	lease.go      who lives
//	forward.go    a request on its way to another replica
//	identity.go   how two replicas know each other
package replica
