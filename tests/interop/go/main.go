// Command client gets one certificate from an ACME CA, in the ways that the Debian packages of clients do not know.
//
//	client WAY FOLDER NAME...      leaves FOLDER/fullchain.pem
//
// acme-dns, httpreq and dnsupdate are the newest lego's own providers, set up by lego's own environment variables, with its
// propagation checks on. dns-persist-01 is lego's too: the shell command $PERSIST_COMMAND is run with the account's URI
// before the order. dns-account-01, which lego does not know yet, is golang.org/x/crypto/acme, and the shell command
// $PRESENT_COMMAND is run with label and value for each authorization.
package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/go-acme/lego/v5/acme"
	"github.com/go-acme/lego/v5/certcrypto"
	"github.com/go-acme/lego/v5/certificate"
	"github.com/go-acme/lego/v5/challenge"
	"github.com/go-acme/lego/v5/lego"
	"github.com/go-acme/lego/v5/providers/dns/acmedns"
	"github.com/go-acme/lego/v5/providers/dns/dnsupdate"
	"github.com/go-acme/lego/v5/providers/dns/httpreq"
	"github.com/go-acme/lego/v5/registration"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: client acme-dns|httpreq|dnsupdate|dns-persist-01|dns-account-01 FOLDER NAME...")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	chain, err := obtain(ctx, os.Args[1], os.Args[3:])
	if err == nil {
		err = os.WriteFile(filepath.Join(os.Args[2], "fullchain.pem"), chain, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func obtain(ctx context.Context, way string, names []string) ([]byte, error) {
	if way == "dns-account-01" {
		return obtainByAccountLabel(ctx, names)
	}
	return obtainByLego(ctx, way, names)
}

// user is the ACME account, a new one for each run.
type user struct {
	key     crypto.Signer
	account *acme.ExtendedAccount
}

func (u *user) GetEmail() string                       { return "" }
func (u *user) GetRegistration() *acme.ExtendedAccount { return u.account }
func (u *user) GetPrivateKey() crypto.Signer           { return u.key }

func obtainByLego(ctx context.Context, way string, names []string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	user := &user{key: key}
	config := lego.NewConfig(user)
	config.CADirURL = os.Getenv("ACME_DIRECTORY")
	client, err := lego.NewClient(config)
	if err != nil {
		return nil, err
	}
	user.account, err = client.Registration.Register(ctx, registration.RegisterOptions{TermsOfServiceAgreed: true})
	if err != nil {
		return nil, err
	}
	if way == "dns-persist-01" {
		if err := run("PERSIST_COMMAND", user.account.Location); err != nil {
			return nil, err
		}
		err = client.Challenge.SetDNSPersist01()
	} else {
		var provider challenge.Provider
		if provider, err = providerOf(way); err == nil {
			err = client.Challenge.SetDNS01Provider(provider)
		}
	}
	if err != nil {
		return nil, err
	}
	request := certificate.ObtainRequest{Domains: names, Bundle: true, KeyType: certcrypto.EC256}
	resource, err := client.Certificate.Obtain(ctx, request)
	if err != nil {
		return nil, err
	}
	return resource.Certificate, nil
}

func providerOf(way string) (challenge.Provider, error) {
	switch way {
	case "acme-dns":
		return acmedns.NewDNSProvider()
	case "httpreq":
		return httpreq.NewDNSProvider()
	case "dnsupdate":
		return dnsupdate.NewDNSProvider()
	}
	return nil, errors.New("no such way: " + way)
}

// run runs the shell command that an environment variable holds.
func run(variable string, arguments ...string) error {
	shell := append([]string{"-c", os.Getenv(variable), variable}, arguments...)
	command := exec.Command("bash", shell...)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	return command.Run()
}
