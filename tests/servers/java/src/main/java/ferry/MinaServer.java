package ferry;

import java.nio.file.Path;
import java.util.List;
import org.apache.sshd.common.keyprovider.FileKeyPairProvider;
import org.apache.sshd.server.SshServer;
import org.apache.sshd.server.config.keys.AuthorizedKeysAuthenticator;
import org.apache.sshd.sftp.server.SftpSubsystemFactory;

/** Apache MINA SSHD with its defaults: MinaServer PORT HOST_KEY AUTHORIZED_KEYS PASSWORD. */
public final class MinaServer {
    public static void main(String[] words) throws Exception {
        SshServer server = SshServer.setUpDefaultServer();
        server.setHost("127.0.0.1");
        server.setPort(Integer.parseInt(words[0]));
        server.setKeyPairProvider(new FileKeyPairProvider(Path.of(words[1])));
        server.setPublickeyAuthenticator(new AuthorizedKeysAuthenticator(Path.of(words[2])));
        server.setPasswordAuthenticator((user, password, session) -> password.equals(words[3]));
        server.setSubsystemFactories(List.of(new SftpSubsystemFactory()));
        server.start();
        Thread.currentThread().join();
    }
}
