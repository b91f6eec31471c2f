// Package kit answers "how is a promise tested?": it is what the tests of a running
// system are made of. It knows the system from outside only, through sockets, HTTP
// and subjects, but for [deploy/stack], which starts it.
//
//   - [Stage] starts a system, in this process ([Stage.Start]) or as processes
//     ([Stage.Process]), and ends it with the test.
//   - [Client] is a good client: it comes back, resumes and repeats, and notes what it
//     is told. [RawClient] is one connection that says what the test wants, right or
//     wrong. [Ask] asks over HTTP.
//   - [Ledger] is who is there, as a client was told, and [Owed.Judge] what of that was
//     wrong. [Log] is what it was told of a channel, and [Judge] what of that was lost,
//     twice or out of order, held against what the streams hold ([ReadTruth]) and,
//     for presence, the buckets ([Seated]).
//   - [Proxy] stands between two and breaks as networks do.
//   - [LookPath] finds the programs that a test needs from outside.
//
// A test in full:
//
//	func TestWhatIsSaidIsHeard(t *testing.T) {
//		t.Parallel()
//		s := kit.NewStage(t, kit.Config{})
//		s.Start(stack.Config{})
//		proxy := s.Proxy(s.Address())
//		ana := s.Connect(kit.ClientConfig{Who: kit.Identity{User: "ana"}})
//		luis := s.Connect(kit.ClientConfig{Who: kit.Identity{User: "luis"}, Bridges: []string{proxy.Addr()}})
//		_, _, err := ana.Call(s.Ctx, "room:1", "open", chat.Open{Members: []string{"luis"}})
//		s.Must(err)
//		s.Must(luis.Follow(s.Ctx, "room:1", kit.FromFirst, true))
//		proxy.Cut() // luis comes back by himself, once he can
//		_, _, err = ana.Publish(s.Ctx, "room:1", "new_message", chat.Post{Text: "hola"})
//		s.Must(err)
//		proxy.Restore()
//		s.Settle(subjects.StreamRoom) // fails the test when anything is lost or comes twice
//	}
//
// Nothing here sleeps or expects to be fast: a test waits for the thing itself
// ([Client.Back], [Client.Event], [Ledger.Await], [RawClient.Expect], [Stage.Until]),
// and ends in any case when the time of its stage is over.
package kit
