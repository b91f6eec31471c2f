package ops

import (
	"testing"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/ops"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
)

var (
	asked    = es.NewEvent(ops.Requested{Client: "ana", Zona: "centro", Precio: 12.5})
	accepted = es.NewEvent(ops.Accepted{Operator: "olga"})
	revoked  = es.NewEvent(ops.Withdrawn{Client: "ana"})
	assigned = es.NewEvent(ops.Assigned{Client: "ana", Operator: "olga", Room: "room:1", Tracking: "tracking:1"})
)

// told is what every operator hears beside the request's own fact.
func told(body es.EventBody) es.Event { return es.NewEvent(body).On(broadcast) }

func TestAsk(t *testing.T) {
	t.Parallel()
	body := ops.Request{Zona: "centro", Precio: 12.5}
	toBroadcast := estest.By("ana", body)
	toBroadcast.Channel = broadcast
	estest.Check(t, request, []estest.Row{
		{
			Name: "a request is told to all operators", When: estest.By("ana", body),
			Then: estest.Facts(asked, told(ops.NewRequest{ID: "1", Zona: "centro", Precio: 12.5})),
		},
		{Name: "a request is made once", Given: estest.Facts(asked), When: estest.By("ana", body), Refused: schemas.Exists},
		{Name: "an id is not used again", Given: estest.Facts(asked, revoked), When: estest.By("ana", body), Refused: schemas.Exists},
		{Name: "the broadcast is no request", When: toBroadcast, Refused: schemas.Forbidden},
	})
}

func TestAccept(t *testing.T) {
	t.Parallel()
	byOlga := estest.As("operator", "olga", ops.Accept{})
	byOtto := estest.As("operator", "otto", ops.Accept{})
	estest.Check(t, request, []estest.Row{
		{
			Name: "an operator accepts and the others hear it", Given: estest.Facts(asked), When: byOlga,
			Then: estest.Facts(accepted, told(ops.RequestTaken{ID: "1"})),
		},
		{Name: "a second operator is too late", Given: estest.Facts(asked, accepted), When: byOtto, Refused: schemas.Taken},
		{Name: "even after it was assigned", Given: estest.Facts(asked, accepted, assigned), When: byOtto, Refused: schemas.Taken},
		{Name: "to accept twice changes nothing", Given: estest.Facts(asked, accepted), When: byOlga},
		{Name: "a client does not accept", Given: estest.Facts(asked), When: estest.As("client", "ana", ops.Accept{}), Refused: schemas.Forbidden},
		{Name: "nobody accepts what was withdrawn", Given: estest.Facts(asked, revoked), When: byOlga, Refused: schemas.Withdrawn},
		{Name: "nobody accepts what was never asked", When: byOlga, Refused: schemas.Forbidden},
	})
}

func TestOffer(t *testing.T) {
	t.Parallel()
	body := ops.Offer{Operator: "olga"}
	byBoss := estest.As("supervisor", "boss", body)
	offered := es.NewEvent(ops.Offered{Operator: "olga"})
	both := estest.Facts(offered, told(ops.RequestOffered{ID: "1", Operator: "olga"}))
	rush := es.NewEvent(ops.Requested{Client: "ana", Zona: "centro", Precio: 12.5, Priority: "urgent"})
	estest.Check(t, request, []estest.Row{
		{Name: "a supervisor offers and operators hear it", Given: estest.Facts(asked), When: byBoss, Then: both},
		{Name: "to offer twice changes nothing", Given: estest.Facts(asked, offered), When: byBoss},
		{Name: "an operator does not offer", Given: estest.Facts(asked), When: estest.As("operator", "otto", body), Refused: schemas.Forbidden},
		{Name: "what was never asked is not offered", When: byBoss, Refused: schemas.Forbidden},
		{Name: "nor what was taken", Given: estest.Facts(asked, accepted), When: byBoss, Refused: schemas.Taken},
		{Name: "nor what was withdrawn", Given: estest.Facts(asked, revoked), When: byBoss, Refused: schemas.Withdrawn},
	})
	respecting := respectDoNotDisturb(request, func(string) bool { return true })
	estest.Check(t, respecting, []estest.Row{
		{Name: "who is not to be disturbed is offered nothing", Given: estest.Facts(asked), When: byBoss, Refused: schemas.Conflict},
		{Name: "unless it is urgent", Given: estest.Facts(rush), When: byBoss, Then: both},
		{Name: "and may accept", Given: estest.Facts(asked), When: estest.As("operator", "olga", ops.Accept{}), Then: estest.Facts(accepted, told(ops.RequestTaken{ID: "1"}))},
	})
}

func TestWithdraw(t *testing.T) {
	t.Parallel()
	estest.Check(t, request, []estest.Row{
		{
			Name: "the client withdraws and operators hear it", Given: estest.Facts(asked), When: estest.By("ana", ops.Withdraw{}),
			Then: estest.Facts(revoked, told(ops.RequestWithdrawn{ID: "1"})),
		},
		{Name: "to withdraw twice changes nothing", Given: estest.Facts(asked, revoked), When: estest.By("ana", ops.Withdraw{})},
		{Name: "another does not withdraw it", Given: estest.Facts(asked), When: estest.By("eve", ops.Withdraw{}), Refused: schemas.Forbidden},
		{Name: "it is too late once accepted", Given: estest.Facts(asked, accepted), When: estest.By("ana", ops.Withdraw{}), Refused: schemas.Taken},
		{Name: "nobody withdraws what was never asked", When: estest.By("", ops.Withdraw{}), Refused: schemas.Forbidden},
	})
}

func TestAssign(t *testing.T) {
	t.Parallel()
	body := ops.Assign{Room: "room:1", Tracking: "tracking:1"}
	estest.Check(t, request, []estest.Row{
		{Name: "an accepted request is assigned", Given: estest.Facts(asked, accepted), When: estest.Service("ops", body), Then: estest.Facts(assigned)},
		{Name: "to assign twice changes nothing", Given: estest.Facts(asked, accepted, assigned), When: estest.Service("ops", body)},
		{Name: "an operator does not assign", Given: estest.Facts(asked, accepted), When: estest.As("operator", "olga", body), Refused: schemas.Forbidden},
		{Name: "an open request is not assigned", Given: estest.Facts(asked), When: estest.Service("ops", body), Refused: schemas.Conflict},
	})
}

func TestAnnounce(t *testing.T) {
	t.Parallel()
	body := ops.Announce{Msg: "back at noon", Type: "maintenance"}
	alert := es.NewEvent(ops.MaintenanceAlert(body))
	alert.Unchecked = true
	estest.Check(t, announcements, []estest.Row{
		{Name: "a service announces", When: estest.Service("deploy", body), Then: estest.Facts(alert)},
		{Name: "a user does not", When: estest.By("ana", body), Refused: schemas.Forbidden},
	})
}

func TestWhoIsTold(t *testing.T) {
	t.Parallel()
	open := evolve(Request{}, asked)
	taken := evolve(open, accepted)
	for _, row := range []struct {
		request Request
		user    string
		want    string
	}{
		{open, "ana", "client"},
		{open, "olga", ""},
		{open, "", ""},
		{taken, "ana", "client"},
		{taken, "olga", "operator"},
		{taken, "otto", ""},
		{evolve(open, revoked), "ana", ""},
	} {
		if got := row.request.role(row.user); got != row.want {
			t.Errorf("role of %q in %+v = %q, want %q", row.user, row.request, got, row.want)
		}
	}
}
