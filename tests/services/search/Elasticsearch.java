// One node of Elasticsearch 8 in this process: java Elasticsearch path.home=DIR http.port=PORT [SETTING=VALUE ...]
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;

public class Elasticsearch {
    public static void main(String[] arguments) throws Exception {
        LogConfigurator.configureESLogging();
        Settings.Builder settings = Settings.builder();
        for (String argument : arguments) {
            String[] parts = argument.split("=", 2);
            settings.put(parts[0], parts[1]);
        }
        Path home = Path.of(settings.get("path.home"));
        Files.createDirectories(home.resolve("plugins"));
        Path config = Files.createDirectories(home.resolve("config"));
        Node node = new Node(InternalSettingsPreparer.prepareEnvironment(settings.build(), Map.of(), config, () -> "test"));
        node.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> Closing.close(node)));
        Thread.currentThread().join();
    }
}
