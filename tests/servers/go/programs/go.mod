// Servers that are built as they are released; their own go.mod says what goes into them.
module ferry/tests/servers/programs

go 1.24

require (
	github.com/drakkan/sftpgo/v2 v2.6.4
	github.com/rclone/rclone v1.76.0
)
