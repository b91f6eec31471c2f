package main

import (
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
)

// account is a service's account in nats/users.conf. It reaches what is named here,
// and nothing else.
type account struct {
	stack.Service
	Account string
	Kinds   []string
	Streams []string
	Serves  []order  // of other services
	Orders  []order  // to other services
	Writes  []string // subjects of the account HUB
	Infos   []string // streams of which it may know how they are
	Reads   []string // streams of which it may read single messages, from their leader
	Direct  []string // streams that it may read from any replica
	Hears   []string // what the account HUB tells
	// Dues and Members are those of its kinds that have deadlines and members.
	Dues, Members []string
}

// system is all accounts of services.
type system []account

// WithMembers lists the accounts whose channels have members.
func (s system) WithMembers() string {
	var names []string
	for _, a := range s {
		if len(a.Members) > 0 {
			names = append(names, a.Account)
		}
	}
	return strings.Join(names, ", ")
}

// order is a command of one service to another.
type order struct {
	From, To string // accounts
	By, Kind string
}

// accounts are those of all services.
func accounts() system {
	var orders []order
	for _, s := range stack.Services() {
		for _, kind := range s.Commands {
			orders = append(orders, order{accountOf(s.Name), accountOf(subjects.Catalog[kind].Owner), s.Name, kind})
		}
	}
	var all system
	for _, s := range stack.Services() {
		a := account{Service: s, Account: accountOf(s.Name), Kinds: subjects.KindsOf(s.Name), Streams: topology.StreamsOf(s.Name)}
		for _, kind := range a.Kinds {
			if scheduled(kind) {
				a.Dues = append(a.Dues, kind)
			}
			if subjects.Catalog[kind].Read.ByMembership() {
				a.Members = append(a.Members, kind)
			}
		}
		for _, o := range orders {
			if o.To == a.Account {
				a.Serves = append(a.Serves, o)
			}
			if o.From == a.Account {
				a.Orders = append(a.Orders, o)
			}
		}
		a.reach()
		all = append(all, a)
	}
	return all
}

// reach says what the service writes, reads and hears.
func (a *account) reach() {
	for _, kind := range a.Kinds {
		a.Writes = append(a.Writes, "evt."+kind+".*")
		a.Hears = append(a.Hears, "feed."+kind+".*")
	}
	for _, kind := range a.Dues {
		a.Writes = append(a.Writes, "due."+kind+".*.*")
	}
	for _, kind := range a.Members {
		a.Writes = append(a.Writes, "$KV."+subjects.BucketMembers+"."+kind+".>")
	}
	a.Infos, a.Reads, a.Direct = slices.Clone(a.Streams), slices.Clone(a.Streams), slices.Clone(a.Streams)
	if len(a.Members) > 0 {
		a.Reads = append(a.Reads, streamOf(subjects.BucketMembers))
	}
	for _, key := range a.Service.Writes {
		bucket, _, _ := strings.Cut(key, ".")
		a.Writes = append(a.Writes, "$KV."+key)
		a.Reads = append(a.Reads, streamOf(bucket))
	}
	for _, bucket := range a.Follows {
		a.Infos, a.Direct = append(a.Infos, streamOf(bucket)), append(a.Direct, streamOf(bucket))
		if !slices.Contains(a.Reads, streamOf(bucket)) {
			a.Reads = append(a.Reads, streamOf(bucket))
		}
		if bucket != subjects.BucketMembers {
			a.Hears = append(a.Hears, bucket+".>")
			continue
		}
		for _, kind := range a.Members { // of its own channels
			a.Hears = append(a.Hears, bucket+"."+kind+".>")
		}
	}
}

func accountOf(service string) string { return strings.ToUpper(service) }

func streamOf(bucket string) string { return "KV_" + bucket }

// scheduled says whether the stream of a kind holds its deadlines.
func scheduled(kind string) bool {
	return slices.ContainsFunc(topology.Streams(topology.Config{}), func(s jetstream.StreamConfig) bool {
		return slices.Contains(s.Subjects, "due."+kind+".*.*")
	})
}
