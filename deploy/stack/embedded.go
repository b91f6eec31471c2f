package stack

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// serverStart bounds the recovery of the streams on disk.
const serverStart = time.Minute

// embed starts a NATS server in this process. It listens, so that the nats CLI
// and other processes can join, while the parts here connect through memory.
func embed(cfg Config) (*bus, error) {
	if err := probe(cfg.NATSListen); err != nil {
		return nil, err
	}
	data, err := openData(cfg.Data)
	if err != nil {
		return nil, err
	}
	kept, err := guard(&cfg)
	if err != nil {
		return nil, &DataError{cfg.Data, errors.Join(reason(err), data.close())}
	}
	lost := data.sinceLastRun()
	running, err := startServer(cfg, data.path)
	if err != nil {
		return nil, errors.Join(err, data.close())
	}
	return &bus{
		url:     running.ClientURL(),
		servers: running.ClientURL(),
		options: slices.Concat(options(cfg), login(cfg), []nats.Option{nats.InProcessServer(running)}),
		cfg:     cfg,
		login:   kept,
		disk:    &disk{server: running, folder: data.path, log: cfg.Log},
		lost:    lost,
		begun:   func() error { return data.markRun(false) },
		shut: func() error {
			running.Shutdown()
			running.WaitForShutdown()
			return data.close()
		},
	}, nil
}

// guard has the server demand a login as soon as tokens are demanded of browsers:
// who reaches NATS without one can read and write everything.
func guard(cfg *Config) (login Login, err error) {
	if cfg.Dev() || cfg.NATSUser != "" {
		return Login{}, nil
	}
	password, made, err := keepSecret(cfg.Data, natsPasswordFile)
	if err != nil {
		return Login{}, err
	}
	cfg.NATSUser, cfg.NATSPassword = natsUser, password
	login = Login{User: natsUser, File: filepath.Join(cfg.Data, natsPasswordFile)}
	if made {
		login.Password = password
	}
	return login, nil
}

// gatekeeper lets the one user of an embedded server in. The server's own options
// would have it warn, at every start, of a password that stands in no file of its.
type gatekeeper struct{ user, password string }

// Check implements [server.Authentication].
func (g gatekeeper) Check(c server.ClientAuthentication) bool {
	said := c.GetOpts()
	user := subtle.ConstantTimeCompare([]byte(said.Username), []byte(g.user))
	return user&subtle.ConstantTimeCompare([]byte(said.Password), []byte(g.password)) == 1
}

func startServer(cfg Config, folder string) (*server.Server, error) {
	host, port, _ := net.SplitHostPort(cfg.NATSListen)
	number, _ := strconv.Atoi(port)
	if number == 0 {
		number = server.RANDOM_PORT
	}
	options := &server.Options{
		ServerName:             cfg.Node,
		Host:                   host,
		Port:                   number,
		JetStream:              true,
		StoreDir:               folder,
		SyncAlways:             cfg.Sync == 0,
		SyncInterval:           cfg.Sync,
		DisableJetStreamBanner: true,
		NoSigs:                 true,
	}
	if cfg.NATSUser != "" {
		options.CustomClientAuthentication = gatekeeper{cfg.NATSUser, cfg.NATSPassword}
	}
	// The server's own limit is a part of what is free now: none on a disk that is full,
	// even when something is freed later.
	if _, total, err := space(folder); err == nil && total > 0 {
		options.JetStreamMaxStore = int64(min(total, math.MaxInt64))
	}
	created, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("embedded NATS: %w", err)
	}
	log := newServerLog(cfg.Log)
	created.SetLoggerV2(log, false, false, false)
	created.Start()
	ready := created.ReadyForConnections(serverStart)
	select {
	case err = <-log.fatal:
	default:
		if ready {
			return created, nil
		}
		err = errors.New("not ready in time")
	}
	created.Shutdown()
	created.WaitForShutdown()
	return nil, fmt.Errorf("embedded NATS: %w", err)
}

// probe finds out early, and in words, whether the address can be listened on;
// the server itself would only log it.
func probe(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("--nats-listen %s: %w (if a NATS server is there, --nats-url joins it)", address, listenReason(err))
	}
	return listener.Close()
}

// listenReason says in one clause why an address cannot be listened on.
func listenReason(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return ErrAddressTaken
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		return operation.Err
	}
	return err
}
