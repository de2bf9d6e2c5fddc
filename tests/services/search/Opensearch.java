// One OpenSearch node in this process: java Opensearch path.home=DIR http.port=PORT [SETTING=VALUE ...]
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.opensearch.Version;
import org.opensearch.common.settings.Settings;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.PluginInfo;

public class Opensearch {
    /** Modules that a distribution loads from folders; here they are on the class path. */
    private static final Stream<String> MODULES = Stream.of(
        "analysis.common.CommonAnalysisModulePlugin",
        "index.mapper.MapperExtrasModulePlugin",
        "index.reindex.ReindexModulePlugin",
        "ingest.common.IngestCommonModulePlugin",
        "painless.PainlessModulePlugin",
        "transport.Netty4ModulePlugin");

    /** The constructor that takes modules is protected. */
    private static class EmbeddedNode extends Node {
        EmbeddedNode(Settings settings, Path config, Collection<PluginInfo> modules) {
            super(InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), config, () -> "test"), modules, false);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Settings.Builder settings = Settings.builder();
        for (String argument : arguments) {
            String[] parts = argument.split("=", 2);
            settings.put(parts[0], parts[1]);
        }
        Path config = Files.createDirectories(Path.of(settings.get("path.home"), "config"));
        List<PluginInfo> modules = MODULES.map(name -> "org.opensearch." + name)
            .map(name -> new PluginInfo(name, "module", "0", Version.CURRENT, "21", name, List.of(), false))
            .toList();
        Node node = new EmbeddedNode(settings.build(), config, modules).start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> Closing.close(node)));
        Thread.currentThread().join();
    }
}
