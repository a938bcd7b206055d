// An SFTP server as a Go programmer writes it in an afternoon: golang.org/x/crypto/ssh, and
// github.com/pkg/sftp with its defaults.
package main

import (
	"bytes"
	"errors"
	"flag"
	"log"
	"net"
	"os"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

var (
	address  = flag.String("listen", "127.0.0.1:2022", "host and port")
	hostKey  = flag.String("host-key", "", "private key of the server")
	keys     = flag.String("authorized-keys", "", "public keys that may log in")
	password = flag.String("password", "", "what else may")
)

func main() {
	flag.Parse()
	config := &ssh.ServerConfig{PublicKeyCallback: byKey, PasswordCallback: byPassword}
	private, err := ssh.ParsePrivateKey(read(*hostKey))
	if err != nil {
		log.Fatal(err)
	}
	config.AddHostKey(private)
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(connection, config)
	}
}

func read(file string) []byte {
	content, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	return content
}

func byKey(_ ssh.ConnMetadata, offered ssh.PublicKey) (*ssh.Permissions, error) {
	for rest := read(*keys); len(rest) > 0; {
		var key ssh.PublicKey
		var err error
		if key, _, _, rest, err = ssh.ParseAuthorizedKey(rest); err != nil {
			break
		}
		if bytes.Equal(key.Marshal(), offered.Marshal()) {
			return nil, nil
		}
	}
	return nil, errors.New("an unknown key")
}

func byPassword(_ ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
	if *password != "" && string(given) == *password {
		return nil, nil
	}
	return nil, errors.New("a wrong password")
}

func serve(connection net.Conn, config *ssh.ServerConfig) {
	_, channels, requests, err := ssh.NewServerConn(connection, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		if offered.ChannelType() != "session" {
			offered.Reject(ssh.UnknownChannelType, "sessions only")
			continue
		}
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		go session(channel, requests)
	}
}

func session(channel ssh.Channel, requests <-chan *ssh.Request) {
	for request := range requests {
		isSftp := request.Type == "subsystem" && string(request.Payload[4:]) == "sftp"
		request.Reply(isSftp, nil)
		if isSftp {
			go transfer(channel)
		}
	}
}

func transfer(channel ssh.Channel) {
	defer channel.Close()
	server, err := sftp.NewServer(channel)
	if err != nil {
		return
	}
	server.Serve()
	server.Close()
}
